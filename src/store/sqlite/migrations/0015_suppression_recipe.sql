-- How the digest was computed: the first recipe compared fewer spellings of an e-mail address or a phone number as one.
alter table suppression add column recipe integer not null default 1;
