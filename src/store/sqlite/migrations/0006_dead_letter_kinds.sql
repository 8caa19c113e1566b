-- As in PostgreSQL's migration 0006, where it is explained.

alter table dead_letter add column kind text;
