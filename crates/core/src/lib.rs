#![doc = include_str!("../README.md")]

pub mod acknowledge;
pub mod batch_operations;
pub mod compare;
pub mod custom_resource;
pub mod decide;
pub mod event;
pub mod facts;
pub mod failure;
pub mod names;
pub mod outcome;
pub mod redelivery;
pub mod time;
pub mod wiring;
