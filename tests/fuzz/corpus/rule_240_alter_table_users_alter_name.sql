ALTER TABLE users ALTER name TYPE text;
ALTER TABLE orders ALTER total TYPE numeric(12,4);
ALTER TABLE orders ALTER total TYPE numeric(12,2);
ALTER TABLE users ALTER seen TYPE date