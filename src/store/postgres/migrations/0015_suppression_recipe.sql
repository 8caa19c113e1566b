-- How the digest was computed: the first recipe compared fewer spellings of an e-mail address or a phone number as one.
alter table suppression add column recipe smallint not null default 1;
