//! Carries calls: in-process and over TCP.
