INSERT INTO lookup SELECT id FROM users;
INSERT INTO users SELECT id FROM lookup;
ALTER TABLE users ADD n serial;
ALTER TABLE lookup ADD n serial