-- A small shop with invented people, for `make demo`, the examples in policies/ and trying things by hand.
-- Load it into an empty database called shop:  psql shop -f demo/shop.postgres.sql
-- example.com never receives mail, +1 202 555 01xx never rings, and the card numbers are the card networks' test ones.

BEGIN;

CREATE TABLE public.customers (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    email      text NOT NULL UNIQUE,
    phone      text,
    birth_date date,
    city       text NOT NULL,
    since      date NOT NULL
);

INSERT INTO public.customers (name, email, phone, birth_date, city, since) VALUES
    ('Maren Oduya',        'maren.oduya@example.com',     '+1 202 555 0101', '1984-03-12', 'Utrecht',    '2021-02-03'),
    ('Tobias Quint',       'tobias.quint@example.com',    '+1 202 555 0102', '1991-11-30', 'Porto',      '2021-04-19'),
    ('Ilse Varga',         'ilse.varga@example.com',      NULL,              '1978-07-08', 'Győr',       '2021-06-27'),
    ('Kwame Lindqvist',    'kwame.lindqvist@example.com', '+1 202 555 0104', '1969-01-21', 'Uppsala',    '2021-09-14'),
    ('Noor Castellanos',   'noor.c@example.com',          '+1 202 555 0105', '1996-05-02', 'Granada',    '2022-01-08'),
    ('Piotr Achterberg',   'piotr@example.com',           '+1 202 555 0106', '1988-12-17', 'Gdańsk',     '2022-03-30'),
    ('Saoirse Nakamura',   'saoirse.n@example.com',       '+1 202 555 0107', '1993-08-25', 'Galway',     '2022-08-11'),
    ('Emre Halvorsen',     'emre.halvorsen@example.com',  '+1 202 555 0108', NULL,         'Bergen',     '2023-02-22'),
    ('Lucía O''Brien',     'lucia.obrien@example.com',    '+1 202 555 0109', '1981-10-05', 'Valencia',   '2023-05-16'),
    ('Bram Adeyemi',       'bram.adeyemi@example.com',    NULL,              '1999-02-14', 'Leuven',     '2024-01-29'),
    ('Yuki Sørensen',      'yuki.s@example.com',          '+1 202 555 0111', '1975-06-19', 'Aarhus',     '2024-07-07'),
    ('Anneliese Moreau',   'a.moreau@example.com',        '+1 202 555 0112', '1990-09-09', 'Lyon',       '2025-03-18');

CREATE TABLE public.products (
    sku         text PRIMARY KEY,
    name        text NOT NULL,
    price_cents int NOT NULL CHECK (price_cents > 0)
);

INSERT INTO public.products VALUES
    ('LAMP-01', 'Desk lamp, brass',            8900),
    ('LAMP-02', 'Floor lamp, oak',            14900),
    ('RUG-07',  'Wool rug, 140 by 200',       23900),
    ('MUG-12',  'Stoneware mug',               1450),
    ('SHELF-3', 'Wall shelf, walnut, 80 cm',   6400);

CREATE TABLE public.orders (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES public.customers,
    sku         text NOT NULL REFERENCES public.products,
    pieces      int NOT NULL CHECK (pieces > 0),
    placed_at   timestamptz NOT NULL,
    state       text NOT NULL CHECK (state IN ('paid', 'shipped', 'returned')),
    ship_to     text NOT NULL
);

INSERT INTO public.orders (customer_id, sku, pieces, placed_at, state, ship_to)
SELECT 1 + n % 12, (ARRAY['LAMP-01', 'LAMP-02', 'RUG-07', 'MUG-12', 'SHELF-3'])[1 + n % 5], 1 + n % 3,
       timestamptz '2026-01-04 08:30+00' + n * interval '7 hours 13 minutes',
       (ARRAY['paid', 'shipped', 'shipped', 'shipped', 'returned'])[1 + n * 7 % 5], (3 + n % 90) || ' Harbour Lane'
FROM generate_series(0, 239) AS n;

CREATE TABLE public.payment_methods (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES public.customers,
    brand       text NOT NULL,
    card_number text NOT NULL,
    last4       text GENERATED ALWAYS AS (right(card_number, 4)) STORED,
    expires     text NOT NULL
);

INSERT INTO public.payment_methods (customer_id, brand, card_number, expires)
SELECT n, (ARRAY['visa', 'mastercard', 'amex'])[1 + n % 3],
       (ARRAY['4111111111111111', '5555555555554444', '378282246310005'])[1 + n % 3],
       to_char(date '2027-01-01' + n * 47, 'MM/YY')
FROM generate_series(1, 12) AS n;

CREATE SCHEMA hr;

CREATE TABLE hr.employees (
    id            int PRIMARY KEY,
    name          text NOT NULL,
    title         text NOT NULL,
    salary_cents  int NOT NULL,
    iban          text NOT NULL,
    notes         text
);

INSERT INTO hr.employees VALUES
    (1, 'Henrike Baptiste', 'Managing director',  980000, 'XX00 0000 0000 0000 0001', NULL),
    (2, 'Callum Ferreira',  'Warehouse lead',     412000, 'XX00 0000 0000 0000 0002', 'part time from May'),
    (3, 'Dorota Engström',  'Support',            355000, 'XX00 0000 0000 0000 0003', NULL),
    (4, 'Matteo Vandal',    'Engineer',           560000, 'XX00 0000 0000 0000 0004', 'on leave in June'),
    (5, 'Freya Oyelaran',   'Engineer',           575000, 'XX00 0000 0000 0000 0005', NULL);

CREATE TABLE hr.sick_notes (
    id          int PRIMARY KEY,
    employee_id int NOT NULL REFERENCES hr.employees,
    from_day    date NOT NULL,
    diagnosis   text NOT NULL
);

INSERT INTO hr.sick_notes VALUES (1, 2, '2026-02-09', 'influenza'), (2, 5, '2026-06-15', 'broken wrist');

CREATE TABLE public.api_tokens (
    id            int PRIMARY KEY,
    customer_id   bigint NOT NULL REFERENCES public.customers,
    token         text NOT NULL,
    client_secret text
);

INSERT INTO public.api_tokens VALUES (1, 3, 'invented-token-3', 'invented-secret-3'), (2, 9, 'invented-token-9', NULL);

-- What engineers may always read: everything that is about no person.
CREATE ROLE engineers NOLOGIN;
GRANT USAGE ON SCHEMA public, hr TO engineers;
GRANT SELECT ON public.products TO engineers;
GRANT SELECT (id, city, since) ON public.customers TO engineers;
GRANT SELECT (id, customer_id, sku, pieces, placed_at, state) ON public.orders TO engineers;
GRANT SELECT (id, customer_id, brand, expires) ON public.payment_methods TO engineers;
GRANT SELECT (id, title) ON hr.employees TO engineers;

COMMIT;
