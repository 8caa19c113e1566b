-- The mark of the keyring that everything here is sealed and found under. With another one no identifier could be opened,
-- no person found, and every valid ack would be taken for a forged one.
create table keyring (
    one  integer primary key check (one = 1),
    mark blob    not null
) strict;
