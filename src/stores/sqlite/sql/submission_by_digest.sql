SELECT uid, name, at, act, outcome, request FROM submissions WHERE digest = ?1
