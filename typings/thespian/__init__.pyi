# The part of thespian that the benchmarks use; the package ships no types.
