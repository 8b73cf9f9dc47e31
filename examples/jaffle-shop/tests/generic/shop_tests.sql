{#
  dbt's own tests with the shop's arguments filled in. dbt moved the place where YAML gives a generic test its
  arguments in 1.10; a test that takes none is read alike by every version, without a warning.
#}

{% test accepted_values_product_kind(model, column_name) %}
  {{ dbt.test_accepted_values(model, column_name, ['jaffle', 'drink']) }}
{% endtest %}


{% test accepted_values_order_status(model, column_name) %}
  {{ dbt.test_accepted_values(model, column_name, ['placed', 'completed', 'returned', 'cancelled']) }}
{% endtest %}


{% test accepted_values_payment_method(model, column_name) %}
  {{ dbt.test_accepted_values(model, column_name, ['card', 'cash', 'transfer', 'gift_card']) }}
{% endtest %}


{% test accepted_values_segment(model, column_name) %}
  {{ dbt.test_accepted_values(model, column_name, ['regular', 'occasional', 'new']) }}
{% endtest %}


{% test relationships_to_products(model, column_name) %}
  {{ dbt.test_relationships(model, column_name, ref('stg_products'), 'product_id') }}
{% endtest %}


{% test relationships_to_customers(model, column_name) %}
  {{ dbt.test_relationships(model, column_name, ref('customers'), 'customer_id') }}
{% endtest %}
