"""Clustering: K-means for many data sets or weighted points at once, choosing k, label propagation.

Single K-means fits, hierarchical clustering, DBSCAN and silhouettes are scikit-learn's.
"""
