select
  cast(date_trunc('month', ordered_on) as date) as month,
  sum(order_count) as order_count,
  sum(revenue) as revenue
from {{ ref('revenue_log') }}
where logged_at = (select max(logged_at) from {{ ref('revenue_log') }})
group by cast(date_trunc('month', ordered_on) as date)
