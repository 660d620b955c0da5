//! A synthetic month of one agency and two platforms.

pub mod log;
