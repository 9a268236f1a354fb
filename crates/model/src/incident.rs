//! Types of incident.
