mod answers;
mod batches;
mod examples;
mod imitation;
mod jobs;
mod quirks;
mod site;
mod tokens;
