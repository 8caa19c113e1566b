-- The mark of the keyring that everything here is sealed and found under. With another one no identifier could be opened,
-- no person found, and every valid ack would be taken for a forged one.
create table keyring (
    one  boolean primary key default true check (one),
    mark bytea   not null
);
