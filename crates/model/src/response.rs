//! Types of response.
