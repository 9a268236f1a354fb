//! Types of escalation.
