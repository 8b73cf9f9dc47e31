select
  id as product_id,
  name as product_name,
  kind as product_kind,
  {{ dollars('price_cents') }} as price
from {{ ref('raw_products') }}
