"""What is claimed to be fast, measured beside what a user would pick instead.

Every benchmark does fixed, seeded work, asserts that it was done, and gives ratios within one run.
"""
