"""What a row is made of: rounds, latencies, meters, conditions."""
