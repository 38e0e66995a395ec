//! What becomes of rows that come after the watermark has passed them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FaultPolicy, Port};
use crate::pipeline::entry::{Entry, Outlet, What};
use crate::pipeline::lane::LateRows;
use crate::steps::KeyedPlan;

/// What becomes of late rows; they are counted in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LatePolicy {
    /// They are kept as dead letters.
    #[default]
    DeadLetter,
    /// They are dropped.
    Drop,
    /// They leave the step as `step.late`, for others to take.
    Side,
}

impl LatePolicy {
    /// The ways out of a step with this policy.
    pub(super) fn ports(self) -> Vec<Port> {
        match self {
            Self::DeadLetter | Self::Drop => vec![Port::main()],
            Self::Side => vec![Port::main(), Port::named("late")],
        }
    }

    /// A keyed step whose rows leave it as `outlet`; late ones are as they came in.
    pub(super) fn entry(self, plan: impl KeyedPlan + 'static, outlet: Outlet, input: &Outlet) -> Entry {
        let (late, outlets) = self.outlets(outlet, input);
        Entry { outlets, what: What::Keyed { plan: Box::new(plan), late, on_fault: FaultPolicy::default() } }
    }

    /// What becomes of late rows, and the ways out of a step.
    pub(super) fn outlets(self, outlet: Outlet, input: &Outlet) -> (LateRows, Vec<Outlet>) {
        match self {
            Self::DeadLetter => (LateRows::DeadLetters, vec![outlet]),
            Self::Drop => (LateRows::Dropped, vec![outlet]),
            Self::Side => (LateRows::Output(1), vec![outlet, input.clone()]),
        }
    }
}
