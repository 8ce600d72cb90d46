"""Sums, products and fully connected layers."""
