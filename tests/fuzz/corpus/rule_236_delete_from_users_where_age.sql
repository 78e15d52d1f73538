DELETE FROM users WHERE age > 9;
DELETE FROM lookup WHERE label = 'x';
UPDATE users SET age = 1;
UPDATE lookup SET label = 'x'