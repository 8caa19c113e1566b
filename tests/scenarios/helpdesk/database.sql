-- A database to try agent.toml on.
create table requesters (id integer primary key, email text not null, name text);
create index requesters_of_email on requesters (email);
create table tickets (id integer primary key, requester_id integer not null references requesters (id), subject text);
create index tickets_of_requester on tickets (requester_id);
create table comments (id integer primary key, ticket_id integer not null references tickets (id), said text);
create index comments_of_ticket on comments (ticket_id);
insert into requesters values (1, 'customer@example.org', 'A customer'), (2, 'old-ticket@example.org', 'Long ago'),
    (3, 'asker@example.org', 'Somebody'), (4, 'stays@example.org', 'Stays');
insert into tickets values (1, 1, 'a printer'), (2, 1, 'the same printer'), (3, 2, 'a lamp'), (4, 3, 'a key'), (5, 4, 'a door');
insert into comments values (1, 1, 'It smokes.'), (2, 1, 'It burns.'), (3, 2, 'Again.'), (4, 4, 'Lost.'), (5, 5, 'Open.');
