-- The command that a dead letter was, where its bytes say so: one of the contract's words, never a text of the message.
-- An erasure that was refused is a legal duty that nobody carries out, so it is listed and counted by itself.
alter table dead_letter add column kind text;
