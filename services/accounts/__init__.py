"""Who somebody is and what he may do: people, integrators, their devices, keys and tokens."""
