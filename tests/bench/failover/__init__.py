"""The failover bench: what each way of balancing the API servers loses when something fails. `make bench-failover`."""
