-- An update that names the method alone asks whether a communication is still there: it tells the CRM nothing, and its
-- answer says nothing of the updates before it.
DROP VIEW unanswered_update;
CREATE VIEW unanswered_update AS
    SELECT made.id, made.key, made.changes, made.intended_at
    FROM update_attempt AS made LEFT JOIN update_outcome ON attempt_id = made.id
    WHERE ifnull(kind, 'failed') = 'failed' AND made.changes <> '{"method": "phone"}' AND made.id > (
        SELECT ifnull(max(known.id), 0) FROM update_attempt AS known JOIN update_outcome ON attempt_id = known.id
        WHERE known.key = made.key AND kind = 'updated' AND known.changes <> '{"method": "phone"}');
