-- The payments come as a source, as a till's export would. Here a seed makes that table, so it has to be loaded first:
-- depends_on: {{ ref('raw_payments') }}
select
  id as payment_id,
  order_id,
  method,
  {{ dollars('amount_cents') }} as amount
from {{ source('till', 'raw_payments') }}
