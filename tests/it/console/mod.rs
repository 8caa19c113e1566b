//! The console in a real Chromium, over the real binary: the ways that people take through it, and whether everybody can take
//! them.

mod accessible;
mod chromium;
mod journeys;
mod site;
