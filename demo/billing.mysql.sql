-- The billing side of the shop, with the same invented people; for MySQL and MariaDB alike.
-- Load it with:  mariadb < demo/billing.mysql.sql   (or mysql)

SET NAMES utf8mb4;
CREATE DATABASE billing CHARACTER SET utf8mb4;

CREATE TABLE billing.invoices (
    id           INT PRIMARY KEY AUTO_INCREMENT,
    customer_id  INT NOT NULL,
    issued_on    DATE NOT NULL,
    amount_cents INT NOT NULL,
    state        ENUM('open', 'paid', 'reminded') NOT NULL,
    address      VARCHAR(200) NOT NULL
);

INSERT INTO billing.invoices (customer_id, issued_on, amount_cents, state, address) VALUES
    (1,  '2026-09-01',  8900, 'paid',     'Maren Oduya, 4 Harbour Lane, Utrecht'),
    (2,  '2026-09-01', 29800, 'paid',     'Tobias Quint, 17 Rua do Cais, Porto'),
    (3,  '2026-09-02', 23900, 'reminded', 'Ilse Varga, 2 Duna utca, Győr'),
    (4,  '2026-09-02',  1450, 'paid',     'Kwame Lindqvist, 88 Storgatan, Uppsala'),
    (5,  '2026-10-01',  6400, 'open',     'Noor Castellanos, 11 Calle Elvira, Granada'),
    (6,  '2026-10-01', 14900, 'paid',     'Piotr Achterberg, 5 Długa, Gdańsk'),
    (9,  '2026-10-02',  4350, 'open',     'Lucía O''Brien, 30 Calle Sorní, Valencia'),
    (12, '2026-10-05', 23900, 'open',     'Anneliese Moreau, 9 Quai Perrache, Lyon');

CREATE TABLE billing.cards (
    id          INT PRIMARY KEY AUTO_INCREMENT,
    customer_id INT NOT NULL,
    holder      VARCHAR(100) NOT NULL,
    brand       VARCHAR(20) NOT NULL,
    number      VARCHAR(19) NOT NULL,
    expires     CHAR(5) NOT NULL
);

-- the card networks' own test numbers
INSERT INTO billing.cards (customer_id, holder, brand, number, expires) VALUES
    (1,  'M ODUYA',        'visa',       '4111111111111111', '03/28'),
    (2,  'TOBIAS QUINT',   'mastercard', '5555555555554444', '11/27'),
    (3,  'ILSE VARGA',     'amex',       '378282246310005',  '07/29'),
    (4,  'K LINDQVIST',    'visa',       '4012888888881881', '01/28'),
    (9,  'LUCIA OBRIEN',   'mastercard', '5105105105105100', '10/27'),
    (12, 'A MOREAU',       'visa',       '4222222222222',    '09/30');

CREATE TABLE billing.payroll (
    employee_id  INT NOT NULL,
    month        CHAR(7) NOT NULL,
    net_cents    INT NOT NULL,
    iban         VARCHAR(34) NOT NULL,
    paid_on      DATE NULL,
    PRIMARY KEY (employee_id, month)
);

INSERT INTO billing.payroll VALUES
    (1, '2026-09', 612000, 'XX00 0000 0000 0000 0001', '2026-09-28'),
    (2, '2026-09', 271000, 'XX00 0000 0000 0000 0002', '2026-09-28'),
    (3, '2026-09', 239000, 'XX00 0000 0000 0000 0003', '2026-09-28'),
    (4, '2026-09', 355000, 'XX00 0000 0000 0000 0004', '2026-09-28'),
    (5, '2026-09', 364000, 'XX00 0000 0000 0000 0005', NULL);

CREATE TABLE billing.contacts (
    id         INT PRIMARY KEY,
    email      VARCHAR(100) NOT NULL,
    phone      VARCHAR(30) NULL,
    birth_date DATE NULL
);

INSERT INTO billing.contacts VALUES
    (1, 'maren.oduya@example.com',  '+1 202 555 0101', '1984-03-12'),
    (2, 'tobias.quint@example.com', '+1 202 555 0102', '1991-11-30');

CREATE TABLE billing.sick_notes (
    id          INT PRIMARY KEY,
    employee_id INT NOT NULL,
    diagnosis   VARCHAR(100) NOT NULL
);

INSERT INTO billing.sick_notes VALUES (1, 2, 'influenza'), (2, 5, 'broken wrist');

CREATE TABLE billing.api_tokens (
    id            INT PRIMARY KEY,
    customer_id   INT NOT NULL,
    token         VARCHAR(60) NOT NULL,
    client_secret VARCHAR(60) NULL
);

INSERT INTO billing.api_tokens VALUES (1, 3, 'invented-token-3', 'invented-secret-3');
