//! Whole-system tests: a module a concern.
