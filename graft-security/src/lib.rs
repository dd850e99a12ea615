//! The data-flow policy and the interceptors that apply it.
