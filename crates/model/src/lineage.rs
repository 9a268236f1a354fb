//! Types of lineage.
