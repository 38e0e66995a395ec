//! The example operators of all languages: held to the same cases, the same rows and the same faults, through the
//! command line, as an author of plugins would. `make conformance` builds the components and runs this alone.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says what it saw")]

mod cases;
mod component;
mod faults;
mod floats;
mod rows;
mod templates;

/// The same tests for each language.
macro_rules! languages {
    ($($language:ident),*) => {$(
        mod $language {
            use crate::component::Component;

            fn component() -> Component {
                Component::of(stringify!($language))
            }

            #[test]
            fn all_cases_pass() {
                crate::cases::all_pass(&component());
            }

            #[test]
            fn no_row_is_as_good_as_many() {
                crate::rows::none(&component());
            }

            #[test]
            fn numbers_that_json_does_not_know_pass_through() {
                crate::floats::pass_through(&component());
            }

            #[test]
            fn what_is_thrown_costs_its_row_alone() {
                crate::faults::thrown(&component());
            }

            #[test]
            fn an_answer_that_is_wrong_names_operator_and_column() {
                crate::faults::wrong_answers(&component());
            }

            #[test]
            fn an_answer_that_is_wrong_names_its_row() {
                crate::faults::wrong_rows(&component());
            }

            #[test]
            fn aggregates_break_at_rows_and_at_results() {
                crate::faults::aggregates(&component());
            }

            #[test]
            fn keyed_operators_break_at_rows_and_at_timers() {
                crate::faults::keyed(&component());
            }

            #[test]
            fn what_never_ends_is_ended() {
                crate::faults::endless(&component());
            }

            #[test]
            fn what_cannot_be_caught_leaves_its_words() {
                crate::faults::fatal(&component());
            }

            #[test]
            fn log_lines_and_numbers_reach_the_host() {
                crate::faults::tells(&component());
            }

            #[test]
            fn what_is_left_behind_is_collected_between_batches() {
                crate::faults::garbage(&component());
            }

            #[test]
            fn a_config_that_is_wrong_is_refused_with_its_key() {
                crate::faults::configs(&component());
            }

            #[test]
            fn a_column_that_is_missing_or_of_another_type_is_named() {
                crate::faults::columns(&component());
            }
        }
    )*};
}

languages!(rust, python, typescript, go, c, cpp, zig);

/// Rows that nobody wrote an answer for: what the Rust operators make of them is what the others must. Those are held to
/// the golden cases.
macro_rules! like_rust {
    ($($language:ident),*) => {
        mod like_rust {$(
            mod $language {
                use crate::component::Component;

                fn component() -> Component {
                    Component::of(stringify!($language))
                }

                #[test]
                fn one_row() {
                    crate::rows::alike(&component(), 1);
                }

                #[test]
                fn odd_rows() {
                    crate::rows::alike(&component(), 3_000);
                }

                #[test]
                fn a_hundred_thousand_rows_in_a_batch() {
                    crate::rows::large(&component());
                }
            }
        )*}
    };
}

like_rust!(python, typescript, go, c, cpp, zig);
