//! How many instances there is room for, and on which threads they may live.

use std::sync::Arc;

use millstream_wasm::{CallError, OpenTransform, Plugin, Runtime, RuntimeConfig, Transform};

use crate::support::{CLOCK, Ear, guest, numbers, plugin};

fn identity(plugin: &Plugin) -> Result<Transform, CallError> {
    let observer = Arc::<Ear>::default();
    let schema = numbers(&[]).schema();
    plugin.transform(&OpenTransform {
        operator: "identity",
        config: "",
        input: &schema,
        observer,
        limits: None,
    })
}

fn load(instances_max: u32) -> (tempfile::TempDir, Plugin) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(RuntimeConfig { instances_max, ..RuntimeConfig::new(dir.path()) }).unwrap();
    let plugin = runtime.load(guest()).unwrap();
    (dir, plugin)
}

#[test]
fn one_instance_too_many_is_refused_until_another_goes() {
    let (_dir, plugin) = load(2);
    let first = identity(&plugin).unwrap();
    let second = identity(&plugin).unwrap();
    let refused = identity(&plugin).err().unwrap();
    assert_eq!(refused, CallError::Exhausted { instances_max: 2 });
    assert!(refused.to_string().contains("all 2 instances"), "{refused}");
    drop(first);
    identity(&plugin).unwrap();
    drop(second);
}

#[test]
fn without_address_space_for_a_pool_plugins_still_run() {
    // Four GiB each: more than any machine can address.
    let (_dir, plugin) = load(10_000_000);
    let input = numbers(&[1, 2]);
    assert_eq!(identity(&plugin).unwrap().process(&CLOCK, &input).unwrap().rows, input);
}

#[test]
fn transforms_of_one_plugin_run_on_many_threads() {
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let mut transform = identity(plugin()).unwrap();
            scope.spawn(move || {
                for round in 0..100 {
                    let input = numbers(&[worker, round]);
                    assert_eq!(transform.process(&CLOCK, &input).unwrap().rows, input);
                }
            });
        }
    });
}
