//! The Unified Graft Model: an impl block becomes a described interface.
