mod batches;
mod examples;
mod imitation;
mod quirks;
mod site;
mod tokens;
