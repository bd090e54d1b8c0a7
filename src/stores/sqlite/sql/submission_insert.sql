INSERT INTO submissions (digest, uid, name, at, act, outcome, request)
VALUES (:digest, :uid, :name, :at, :act, :outcome, :request)
ON CONFLICT (digest) DO NOTHING
