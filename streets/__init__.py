"""Streets: what an extract of a map says of a city, and how long ways through it take.

An extract of OpenStreetMap becomes a city folder (roads by vehicle, restaurants, doors, tiles), and
a city folder becomes a provider of travel times. Nothing here knows an order or a courier.
"""
