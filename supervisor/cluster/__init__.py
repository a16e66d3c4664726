"""Cluster: actors on other machines. `RayCluster` needs the extra `[ray]`; nothing here imports Ray into the daemon."""

from supervisor.cluster.ray_cluster import RayCluster

__all__ = ["RayCluster"]
