//! The page of `ingressctl ui`, in a real headless Chromium.

mod accessibility;
mod hostile;
mod large;
mod lists;
mod live;
mod looks;
mod page;
mod routes;
mod screenshots;
mod server;
mod trial;
