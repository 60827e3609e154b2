//! HTTPS by Secrets of the API: which certificate clients get while these come,
//! change and go, what is read of them, and who sees their keys.

mod changes;
mod keys;
mod refused;
mod restarts;
mod rights;
mod site;
mod trouble;
