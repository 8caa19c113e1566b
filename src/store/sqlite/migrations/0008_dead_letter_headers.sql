-- The headers that say what a message is, sealed as its bytes are: sent again without them, a command that has its id there
-- would be another one, or none. Null: there were none.
alter table dead_letter add column headers blob;
alter table early_command add column headers blob;
