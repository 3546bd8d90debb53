//! Clusters, faults, checks and the scenarios of the lab.
