"""What can be done to a lab: observe, plan, apply. A step a file; product.py is the list of them in their order."""
