"""Clustering: K-means, choosing k, labels spread over a graph."""
