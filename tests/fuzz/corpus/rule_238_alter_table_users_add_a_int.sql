ALTER TABLE users ADD a int DEFAULT dice();
ALTER TABLE users ADD a int DEFAULT steady();
ALTER TABLE users ADD a positive;
ALTER TABLE users ADD a tiny