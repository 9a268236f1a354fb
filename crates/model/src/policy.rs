//! Types of policy.
