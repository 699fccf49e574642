"""What is scheduled and what was performed: attribute table, item, query, store.

This room knows neither pynetdicom nor HTTP.
"""
